"""What all tabs share: the bridge from events to components, strings, widgets, the look."""
