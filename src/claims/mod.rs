//! What files claim, compared with what they are, before memory or time is spent on it.

mod hdf5;
mod npy;
mod texts;

pub use hdf5::{MOST_EXPANSION, check_dataset};
pub use npy::check_npy_header;
pub use texts::check_texts;
