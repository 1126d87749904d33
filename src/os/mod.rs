//! Linux, one file per kernel interface. The only home of raw system calls.
