"""A trained model that leaves home with its preprocessing: one folder that is saved, loaded and predicts new rows."""
