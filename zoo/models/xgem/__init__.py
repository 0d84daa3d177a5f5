"""XGeM: any modality of a row from any others, over latents that a model of each modality shares."""
