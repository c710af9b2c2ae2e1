// From noise to picture, in the browser: the slider over the moments of a drawing, the latent view, and the
// map of a word over the picture. A .film holds its moments as small pictures of latents in data-film; what
// the decoder makes of them, and the maps, are asked for at the first look and come through receive().
window.genlab.film = (() => {
  const films = new WeakMap();
  const boxes = new Map(); // element -> trigger
  let timer = null;

  const all = () => [...boxes.keys()].flatMap((box) => [...box.querySelectorAll(".film")]);
  const state = (film) => {
    if (!films.has(film)) {
      films.set(film, { frames: {}, maps: null, word: null, asked: new Set(), ...JSON.parse(film.dataset.film) });
    }
    return films.get(film);
  };
  const range = (film) => film.querySelector(".film-range");
  const text = (film, name, value) => film.querySelectorAll(`[data-${name}]`).forEach((e) => { e.textContent = value; });

  const picture = (one, at, side, latent) => {
    const moment = one.moments[at];
    const sketch = moment[side] || null;
    if (latent) return sketch;
    if (at === one.moments.length - 1) return one.picture;
    const frame = one.frames[at];
    return frame ? frame[side === "noisy" ? 0 : 1] : sketch;
  };

  const isDark = (image) => {
    if (!image.complete || !image.naturalWidth) return false;
    const small = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const context = small.getContext("2d");
    context.drawImage(image, 0, 0, 8, 8);
    const { data } = context.getImageData(0, 0, 8, 8);
    return data.reduce((sum, value, k) => sum + (k % 4 === 3 ? 0 : value), 0) / (8 * 8 * 3) < 105;
  };

  const heat = (film, one, at) => {
    const canvas = film.querySelector("canvas");
    const map = one.maps && one.word !== null && one.maps[one.word] && one.maps[one.word][at];
    canvas.hidden = !map;
    film.classList.toggle("has-heat", Boolean(map));
    if (!map) return;
    const [height, width] = one.shape;
    const bytes = Uint8Array.from(atob(map), (c) => c.charCodeAt(0));
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(width, height);
    const veil = isDark(film.querySelector(".film-guess img")) ? 235 : 15; // what is seen against the picture
    bytes.forEach((value, k) => { pixels.data.set([veil, veil, veil, Math.round(0.85 * (255 - value))], 4 * k); });
    context.putImageData(pixels, 0, 0);
    text(film, "share", `${(100 * one.shares[one.word][at]).toFixed(1)}%`);
    const chip = film.querySelector(`.film-word[data-number="${one.word}"]`);
    text(film, "word", chip ? chip.textContent.trim() : "");
  };

  const paint = (film) => {
    const one = state(film);
    const at = Number(range(film).value);
    const last = one.moments.length - 1;
    const latent = film.querySelector(".film-latent").checked;
    film.dataset.at = at === 0 && one.moments[0].step === 0 ? "start" : at === last ? "end" : "middle";
    text(film, "step", one.moments[at].step);
    for (const side of ["noisy", "guess"]) {
      const image = film.querySelector(`.film-${side} img`);
      const url = picture(one, at, side, latent);
      image.hidden = !url;
      if (url && image.getAttribute("src") !== url) image.src = url;
    }
    film.classList.toggle("is-latent", latent);
    film.classList.toggle("has-maps", Boolean(one.maps)); // then how coarse they are is said
    if (one.maps) text(film, "places", `${one.shape[1]} × ${one.shape[0]}`);
    film.classList.toggle("is-coarse", latent || (at !== last && !one.frames[at]));
    film.querySelectorAll(".film-word").forEach((chip) => {
      chip.setAttribute("aria-pressed", String(Number(chip.dataset.number) === one.word));
    });
    heat(film, one, at);
    const words = film.querySelector(`.film-caption [data-when="${film.dataset.at}"]`);
    range(film).setAttribute("aria-valuetext", words ? words.innerText.trim() : String(one.moments[at].step));
  };

  const wait = (film, what) => { if (what) film.dataset.waiting = what; else delete film.dataset.waiting; };
  const ask = (film, data) => {
    const one = state(film);
    const key = JSON.stringify(data);
    if (one.recorded || one.asked.has(key)) return;
    one.asked.add(key);
    const box = [...boxes.keys()].find((element) => element.contains(film));
    wait(film, data.look);
    boxes.get(box)("select", { ...data, id: one.id });
  };
  // Small models show all stages at once, large ones only the moment that is looked at.
  const lookAt = (film) => {
    const one = state(film);
    const at = Number(range(film).value);
    const decoded = film.querySelector(".film-latent").checked || one.frames[at] || at === one.moments.length - 1;
    if (one.all) ask(film, { look: "stages", moment: -1 });
    else if (!decoded) { clearTimeout(timer); timer = setTimeout(() => ask(film, { look: "stages", moment: at }), 200); }
  };

  const play = (film) => {
    const one = state(film);
    const slider = range(film);
    if (one.playing) { clearInterval(one.playing); one.playing = null; film.classList.remove("is-playing"); return; }
    if (slider.value === slider.max) slider.value = 0;
    lookAt(film);
    paint(film);
    film.classList.add("is-playing");
    one.playing = setInterval(() => {
      if (!film.isConnected || slider.value === slider.max) { play(film); return; }
      slider.value = Number(slider.value) + 1;
      paint(film);
    }, 220);
  };

  const bind = (element, trigger) => {
    boxes.set(element, trigger);
    element.addEventListener("load", (event) => { // a picture that came: now it is known how dark it is
      const film = event.target.closest(".film");
      if (film && films.has(film) && state(film).word !== null) heat(film, state(film), Number(range(film).value));
    }, true);
    element.addEventListener("input", (event) => {
      const film = event.target.closest(".film");
      if (!film) return;
      lookAt(film);
      paint(film);
    });
    element.addEventListener("click", (event) => {
      const film = event.target.closest(".film");
      const button = film && event.target.closest("button");
      if (!button) return;
      if (button.classList.contains("film-play")) { play(film); return; }
      const one = state(film);
      const number = Number(button.dataset.number);
      one.word = one.word === number ? null : number;
      if (one.word !== null && !one.maps) ask(film, { look: "words" });
      paint(film);
    });
    new MutationObserver(() => all().forEach((film) => { if (!films.has(film)) paint(film); }))
      .observe(element, { childList: true, subtree: true });
    all().forEach(paint);
  };

  // What a look brought: {id, frames: {moment: [noisy, guess]}} or {id, shape, maps, shares}
  const receive = (json) => {
    if (!json) return;
    const news = JSON.parse(json);
    all().filter((film) => state(film).id === news.id).forEach((film) => {
      const one = state(film);
      Object.assign(one.frames, news.frames || {});
      if (news.maps) {
        Object.assign(one, { maps: news.maps, shares: news.shares, shape: news.shape });
        film.querySelectorAll(".film-word").forEach((chip) => {
          chip.disabled = !news.maps[Number(chip.dataset.number)];
        });
      }
      paint(film);
    });
  };
  // A look is over, or failed: what did not come may be asked for again.
  const idle = () => all().forEach((film) => { wait(film, ""); if (!state(film).maps) state(film).asked.delete('{"look":"words"}'); });

  return { bind, receive, idle };
})();
