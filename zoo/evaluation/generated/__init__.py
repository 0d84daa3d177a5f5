"""What was generated beside what is real: distances, words, findings, copies, coherence, and human readers."""
