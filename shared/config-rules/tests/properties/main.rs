//! Laws that hold for every document, on cases made from seeds: the same in every run, and printed when one fails.

mod cases;
mod exact;
mod fuzz;
mod laws;
