"""Diffusion in the latent space of an autoencoder: one autoencoder and one denoiser for each kind of modality."""
