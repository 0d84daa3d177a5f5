"""The simulated cohort: one renderer a modality, a latent state, and a stated information design."""

from datamodules.phantom.cohort import PhantomCohort
from datamodules.phantom.design import Information, best_accuracy, information
from datamodules.phantom.latent import Patient, draw_patient

__all__ = ["Information", "Patient", "PhantomCohort", "best_accuracy", "draw_patient", "information"]
