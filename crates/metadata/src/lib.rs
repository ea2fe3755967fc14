//! What every node knows: metadata records, image, delta, and the configuration table.
