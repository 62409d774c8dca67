"""The models: one noun per file. The same tables stand aboard and at the hangar.

What travels says so by `__sync__`; `travelling` lists those. Nothing here knows how it travels.
"""

from __future__ import annotations

from common.schema.aircraft import Aircraft
from common.schema.app_user import AppUser
from common.schema.asset import Asset
from common.schema.audit import Audit
from common.schema.base import Base, Direction, Mode, Retention, Sync, added
from common.schema.campaign import Campaign
from common.schema.campaign_aircraft import CampaignAircraft
from common.schema.configuration import Configuration
from common.schema.heartbeat import Heartbeat
from common.schema.item import Item
from common.schema.ledger import Applied, Batch, Cursor, Dirty, Epoch, Snapshot
from common.schema.payment import Payment
from common.schema.quarantine import Quarantine
from common.schema.staff import Staff
from common.schema.survey import Survey
from common.schema.survey_answer import SurveyAnswer
from common.schema.token import Token
from common.schema.usage_event import UsageEvent
from common.schema.usage_gap import UsageGap
from common.schema.user_alias import UserAlias
from common.schema.user_clamp import UserClamp
from common.schema.user_consent import UserConsent
from common.schema.user_event import UserEvent
from common.schema.user_field import CONSENTS, SHARED_FIELDS, USER_FIELDS
from common.schema.user_merge_log import UserMergeLog
from common.schema.waiting import Held, Need
from common.schema.wanted import Wanted
from common.schema.work import Work

__all__ = [
    "CONSENTS",
    "SHARED_FIELDS",
    "USER_FIELDS",
    "Aircraft",
    "AppUser",
    "Applied",
    "Asset",
    "Audit",
    "Base",
    "Batch",
    "Campaign",
    "CampaignAircraft",
    "Configuration",
    "Cursor",
    "Direction",
    "Dirty",
    "Epoch",
    "Heartbeat",
    "Held",
    "Item",
    "Mode",
    "Need",
    "Payment",
    "Quarantine",
    "Retention",
    "Snapshot",
    "Staff",
    "Survey",
    "SurveyAnswer",
    "Sync",
    "Token",
    "UsageEvent",
    "UsageGap",
    "UserAlias",
    "UserClamp",
    "UserConsent",
    "UserEvent",
    "UserMergeLog",
    "Wanted",
    "Work",
    "added",
    "travelling",
]


def travelling(direction: Direction) -> list[type[Base]]:
    """Return the models that go this way, parents first within each stream.

    >>> [model.__tablename__ for model in travelling("up")]
    ['payment', 'usage_event', 'survey_answer', 'usage_gap', 'user_event']
    """
    found = [
        (model.__sync__, model)
        for model in (mapper.class_ for mapper in Base.registry.mappers)
        if model.__sync__ is not None and model.__sync__.direction == direction
    ]
    found.sort(key=lambda pair: (pair[0].stream, pair[0].rank, pair[1].__tablename__))
    return [model for _, model in found]
