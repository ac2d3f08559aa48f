//! Loading compiled code from a cache file whose text is shared between processes.
