//! What every bridge is made of.
