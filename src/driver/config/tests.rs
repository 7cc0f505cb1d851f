//! Files of the system, and what becomes of them.
