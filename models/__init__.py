"""Models behind the page: catalogue, cache, jobs and engines. Nothing here knows Gradio."""
