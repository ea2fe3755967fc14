//! Every verb of the repository.
fn main() {}
