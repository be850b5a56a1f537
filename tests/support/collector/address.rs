//! Ports that stay what they are for as long as a test needs them.
//!
//! Tests run at the same time, and the system hands a port that was given back to whoever asks
//! next. So a port where nobody is to listen is kept, not given back.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port of the loopback interface that is taken, and where nobody listens: connections are
/// refused until this is dropped.
#[derive(Debug)]
pub struct Nobody {
    socket: TcpSocket,
}

impl Nobody {
    /// Takes a free port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn new() -> Self {
        Self {
            socket: bound("127.0.0.1:0".parse().expect("a literal address")),
        }
    }

    /// The URL under which nobody answers.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address under which nobody answers.
    pub(super) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("the socket is bound")
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}

/// Listens on a port that a [`Nobody`] holds. Nobody listens there again once this is dropped.
pub(super) fn listen(address: SocketAddr) -> TcpListener {
    let socket = bound(address);
    socket.listen(1024).expect("nobody else has this port")
}

/// A socket that may share its port with those of our own that do not listen.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a new socket");
    socket.bind(address).expect("a free port");
    socket
}
