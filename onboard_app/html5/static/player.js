// Plays HLS where the browser cannot by itself, remembers the place, and tells the statistics.
const video = document.querySelector("video[data-item]");
const PLACE = `place:${video?.dataset.item}`;
const TELL_EVERY_S = 60;

function tell(kind, data = {}) {
  const event = { kind, item_id: video.dataset.item, data };
  fetch("/api/v1/stats", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(event),
    keepalive: true,
  }).catch(() => {}); // Statistics are never worth a stutter.
}

function library() {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = video.dataset.hls;
    script.onload = () => done(window.Hls);
    script.onerror = failed;
    document.head.append(script);
  });
}

function trouble() {
  document.querySelector(".trouble").hidden = false;
}

async function attach() {
  const source = video.querySelector("source");
  if (!("MediaSource" in window)) return; // iPhones play it by themselves
  let Hls;
  try {
    Hls = await library();
  } catch {
    return; // the browser may still know what to do with the source element
  }
  if (!Hls.isSupported()) return;
  const stream = source.src;
  source.remove();
  // A worker would come from a blob: address, which our policy forbids.
  const hls = new Hls({ enableWorker: false, capLevelToPlayerSize: true, maxBufferLength: 60 });
  let recovered = false;
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true;
      hls.recoverMediaError();
    } else {
      hls.destroy();
      trouble();
    }
  });
  // Whoever pressed play before the library was here is not made to press it again: taking the
  // element over stops it.
  const pressed = !video.paused;
  hls.loadSource(stream);
  hls.attachMedia(video);
  if (pressed) video.play().catch(() => {}); // stopped again meanwhile: its button is there
}

function remember() {
  let told = 0;
  let started = false;
  video.addEventListener("loadedmetadata", () => {
    const place = Number(localStorage.getItem(PLACE));
    if (place > 10 && place < video.duration - 20) video.currentTime = place;
  }, { once: true });
  video.addEventListener("play", () => {
    if (!started) tell("play", { from_s: Math.round(video.currentTime) });
    started = true;
  });
  video.addEventListener("timeupdate", () => {
    if (Math.abs(video.currentTime - told) < TELL_EVERY_S) return;
    told = video.currentTime;
    localStorage.setItem(PLACE, Math.round(told));
    tell("progress", { at_s: Math.round(told) });
  });
  video.addEventListener("pause", () => {
    localStorage.setItem(PLACE, Math.round(video.currentTime));
  });
  video.addEventListener("ended", () => {
    localStorage.removeItem(PLACE);
    tell("finish", { length_s: Math.round(video.duration) });
  });
}

if (video) {
  remember();
  attach();
}
