//! What imports promise to programs that embed them.

mod interruption;
mod lines;
mod own_source;
mod pieces;
