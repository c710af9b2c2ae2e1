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
    # Gradio's own edge of an empty box cannot be seen: WCAG wants 3:1
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    checkbox_border_color_hover="*neutral_700",
    checkbox_border_color_hover_dark="*neutral_200",
    checkbox_border_color_focus_dark="*primary_400",
    checkbox_label_background_fill_selected="*primary_600",
    checkbox_label_background_fill_selected_dark="*primary_600",
    # Gradio's own greys fall below 4.5:1 on its backgrounds
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    # Labels are ink: the accent is for what can be pressed
    block_label_text_color="*neutral_800",
    block_label_text_color_dark="*neutral_100",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    layout_gap="12px",
    block_padding="10px 12px",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
)

# The page's own look first, then what single tabs add.
_THEME_CSS = Path(__file__).with_name("theme.css")
_TAB_CSS = sorted(set(Path(__file__).parent.parent.glob("*/*.css")) - {_THEME_CSS})
CSS = gradio_patches.CSS + "".join(
    file.read_text(encoding="utf-8") for file in (_THEME_CSS, *_TAB_CSS)
)

# Gradio's language first, then the page's, then what each tab does in the browser alone.
_LANGUAGE = Path(__file__).with_name("language.js")
_TAB_SCRIPTS = sorted(set(Path(__file__).parent.parent.rglob("*.js")) - {_LANGUAGE})
HEAD = (
    gradio_patches.SCRIPT
    + gradio_patches.WORDS
    + "".join(
        f"<script>\n{script.read_text(encoding='utf-8')}</script>\n"
        for script in (_LANGUAGE, *_TAB_SCRIPTS)
    )
)
