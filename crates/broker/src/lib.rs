//! The broker: network, dispatch, one handler per API, replicas, purgatory.
