//! Pruning and vacuum.
