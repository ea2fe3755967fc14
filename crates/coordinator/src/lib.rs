//! Group coordination as pure state machines over coordinator records.
