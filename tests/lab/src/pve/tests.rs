//! Tests of the state machine and of the protocol.
