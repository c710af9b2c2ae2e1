"""The look: one accent, system fonts (nothing is fetched from outside), and the language switch."""

from pathlib import Path

import gradio as gr

from tabs.shared import gradio_patches

THEME = gr.themes.Soft(
    primary_hue="indigo",
    secondary_hue="indigo",
    neutral_hue="slate",
    font=["system-ui", "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    radius_size="md",
).set(
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_text_color="white",
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    block_border_width="1px",
    block_border_width_dark="1px",
    block_border_color="*neutral_200",
    block_border_color_dark="*neutral_800",
    block_shadow="none",
    block_label_background_fill="transparent",
    block_label_background_fill_dark="transparent",
    block_title_background_fill="none",
    block_title_background_fill_dark="none",
    block_title_padding="0",
    input_background_fill="*neutral_50",
    input_background_fill_dark="*neutral_950",
    input_border_width="1px",
    input_border_color="*neutral_300",
    input_border_color_dark="*neutral_700",
    input_shadow="none",
    button_secondary_background_fill="white",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    button_border_width="1px",
    checkbox_label_background_fill_selected="*primary_600",
    checkbox_label_background_fill_selected_dark="*primary_600",
    # Gradio's own greys fall below 4.5:1 on its backgrounds
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*primary_700",
    block_label_text_color_dark="*primary_200",
    block_title_text_color="*primary_700",
    block_title_text_color_dark="*primary_200",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
)

CSS = (
    """
html[lang=ko] .in-en, html:not([lang=ko]) .in-ko { display: none; }
.gradio-container { width: 100%; max-width: 1200px !important; margin-inline: auto !important; }
#header { align-items: center; justify-content: space-between; flex-wrap: wrap; gap: .5rem 1rem; }
#header > * { flex: 0 1 auto !important; min-width: 0 !important; width: auto; }
#title { flex: 1 1 20rem !important; }
#title h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.02em; white-space: nowrap; }
#title p { margin: .1rem 0 0; color: var(--body-text-color-subdued); }
#machine .result-line { text-align: right; }
.result-line { margin: .25rem 0; font-size: .9rem; color: var(--body-text-color-subdued); }
.result-line * { color: inherit; }
.bar { display: flex; flex-wrap: wrap; justify-content: space-between; margin: .4rem 0; }
.bar > div { flex: 0 0 auto; height: .6rem; border-radius: .3rem; background: var(--color-accent);
  min-width: 2px; }
.bar::after { content: ""; flex: 1 0 0; }
.bar > span:first-child { flex: 1 1 70%; font-weight: 600; }
.marked-words { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 2.1; }
.word-for, .word-against { padding: .1rem .2rem; border-radius: .25rem; }
.word-for { border-bottom: 3px solid #2563eb;
  background: color-mix(in srgb, #2563eb var(--share), transparent); }
.word-against { border-bottom: 3px dotted #d97706;
  background: color-mix(in srgb, #d97706 var(--share), transparent); }
.marked-words sup { margin-left: .1rem; font-weight: 600; }
.note { border-left: 3px solid var(--color-accent); padding: .1rem .75rem; margin: .25rem 0; }
table.plain tr { border: 0 !important; }
ul.catalogue { list-style: none; margin: 0; padding: 0; font-size: .9rem; }
ul.catalogue li { padding: .6rem 0; border-top: 1px solid var(--border-color-primary); }
table.plain { border: 0 !important; width: 100%; border-collapse: collapse; font-size: .9rem; }
table.plain th, table.plain td { text-align: left; padding: .3rem .4rem; vertical-align: top;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important;
  overflow-wrap: anywhere; }
.stop-button { flex: 0 0 auto !important; min-width: 6rem !important; }
.forming-picture { display: block; width: min(100%, 512px); aspect-ratio: 1; margin: 0 auto;
  background: var(--background-fill-secondary); border-radius: .5rem; object-fit: contain; }
.progress { height: .6rem; margin-top: .75rem; border-radius: .3rem; overflow: hidden;
  background: var(--border-color-primary); }
.progress > div { height: 100%; background: var(--color-accent); }
.pixelated img { image-rendering: pixelated; }
.quiet { font-size: .9rem; color: var(--body-text-color-subdued); margin: .1rem 0 .4rem; }
.picks { display: flex; flex-wrap: wrap; gap: .4rem; }
.picks .pick { width: 5rem; }
.pick { padding: 0; border: 2px solid transparent; border-radius: .4rem; overflow: hidden; display: block;
  background: none; color: inherit; font-size: .75rem; cursor: pointer; width: 100%; }
.pick:hover, .pick:focus-visible { border-color: var(--color-accent); }
.pick img { width: 100%; margin: 0 !important; display: block; aspect-ratio: 1; object-fit: cover;
  image-rendering: pixelated; }
.pick.pending { aspect-ratio: 1; background: var(--background-fill-secondary); cursor: default; }
table.picture-grid { width: 100%; table-layout: fixed; border-collapse: collapse; border: 0 !important; }
table.picture-grid :is(tr, th, td) { border: 0 !important; padding: .15rem !important;
  background: none !important; }
table.picture-grid th { font-size: .8rem; font-weight: 500; text-align: center;
  color: var(--body-text-color-subdued); }
.word { border: 1px solid var(--border-color-primary) !important; border-radius: 1rem !important;
  padding: .1rem .7rem !important; margin: .1rem 0; cursor: pointer; font-size: .85rem !important;
  font-weight: 400 !important; box-shadow: none !important; }
.word:hover { border-color: var(--color-accent) !important; }
.stages { display: flex; flex-wrap: wrap; gap: .25rem; border: 0; padding: 0; margin: .5rem 0; }
.stages legend { font-weight: 600; color: var(--block-title-text-color); }
.stages > .quiet { flex: 0 0 100%; }
.stage { flex: 1 1 0; min-width: 0; max-width: 4.5rem; text-align: center; font-size: .75rem;
  cursor: pointer; position: relative; }
.stage input { position: absolute; opacity: 0; }
.stage-picture { display: block; width: 100%; aspect-ratio: 1; border-radius: .35rem;
  background: var(--seen) center / cover; image-rendering: pixelated; }
.stage-picture.noisy { background-image: var(--noisy); }
.stage:hover .stage-picture, .stage:has(:checked) .stage-picture { outline: 2px solid var(--color-accent); }
.stage:has(:focus-visible) .stage-picture { outline: 3px solid var(--color-accent); outline-offset: 1px; }
.stage-view { display: none; order: 1; flex: 0 0 100%; }
.stage:has(:checked) + .stage-view { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem .5rem; }
.stage-view > p { grid-column: 1 / -1; margin: .25rem 0 0 !important; }
.stage-view figure { margin: 0; } .stage-view figcaption { font-size: .8rem; text-align: center; }
.samples { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .5rem; }
.sample { border: 1px solid var(--border-color-primary); border-radius: .5rem; padding: .5rem .75rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 800px) { #chat-main { order: -1; } }
@media (max-width: 640px) {
  .gradio-container { padding: .5rem !important; }
  #machine { order: 3; } #machine .result-line { text-align: left; }
}
"""
    + gradio_patches.CSS
)

# The page's language is the address's (?lang=), else the last one chosen, else the browser's. It is put
# into the address, because Gradio sends that along with every request. Gradio itself starts in the
# browser's language, and is switched by gradio_patches.SCRIPT.
_LANGUAGE = """
<script>
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
</script>
"""

# What a tab does in the browser alone is in a .js beside it.
HEAD = (
    gradio_patches.SCRIPT
    + _LANGUAGE
    + "".join(
        f"<script>\n{script.read_text(encoding='utf-8')}</script>\n"
        for script in sorted(Path(__file__).parent.parent.rglob("*.js"))
    )
)
