//! Simulation, faults, workloads, checkers, process clusters and foreign-client drivers.
