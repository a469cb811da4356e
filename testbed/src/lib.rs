//! Simulators and harness.
