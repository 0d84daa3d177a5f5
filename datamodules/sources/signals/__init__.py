"""Published recordings of signals, such as EEG."""
