"""The page. TABS, in order. ADD A TAB: a module with build(context), and its text in tabs/text."""

from tabs import chat, sentence_similarity, sentiment, text_to_image

TABS = {
    "chat": chat.build,
    "text_to_image": text_to_image.build,
    "sentiment": sentiment.build,
    "sentence_similarity": sentence_similarity.build,
}
