//! Sentences about the controller.
