// The page's language is the address's (?lang=), else the last one chosen, else the browser's. It is put
// into the address, because Gradio sends that along with every request. Gradio itself starts in the
// browser's language, and is switched by the script in gradio_patches.py.
(function () {
  const known = (l) => ((l || "").toLowerCase().startsWith("ko") ? "ko" : "en");
  const remembered = () => { try { return localStorage.getItem("genlab.language"); } catch { return null; } };
  const browsers = known(navigator.language);
  let lang = known(new URLSearchParams(location.search).get("lang") || remembered() || browsers);
  const show = () => {
    const query = new URLSearchParams(location.search);
    query.set("lang", lang);
    history.replaceState(history.state, "", location.pathname + "?" + query + location.hash);
    document.documentElement.lang = lang;
  };
  // A form in a model's answer would leave the page: no form of GenLab's own is ever sent.
  document.addEventListener("submit", (event) => event.preventDefault(), true);
  show();
  const gradio = window.genlab.gradioLanguage(() => lang);
  if (lang !== browsers) gradio.change().catch(() => {});
  Object.assign(window.genlab, {
    language: () => lang,
    switchLanguage: async () => {
      lang = lang === "ko" ? "en" : "ko";
      try { localStorage.setItem("genlab.language", lang); } catch { /* private window */ }
      show();
      try { await gradio.change(); } catch { location.reload(); }
      return lang;
    },
  });
})();
