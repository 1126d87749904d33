//! Random work of several sessions, played one after the other, beside a plain list.
