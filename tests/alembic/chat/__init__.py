"""The chat application's data layer, as far as the case needs it."""
