"""The chat starter: small talk in English and Korean, in five personas that the system prompt asks for."""
