"""What turns new rows into what a trained model takes, without the data that it was trained on."""
