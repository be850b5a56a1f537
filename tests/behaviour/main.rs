//! What dotflow does, topic by topic, through its public API.

mod shapes;
