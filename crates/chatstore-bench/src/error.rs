//! Why a run could not be carried out.

/// Any failure: it ends the run and is printed as it is.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
