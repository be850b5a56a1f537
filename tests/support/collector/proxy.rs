//! A proxy as companies have one: the only way out, which it shows by what it was asked for.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// A proxy that leads to one collector, whatever host it is asked for.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one. It ends with the test process.
    ///
    /// # Panics
    ///
    /// When it can't listen.
    pub fn start(collector: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let shown = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shown = Arc::clone(&shown);
                // It ends in an error where one side breaks it off.
                thread::spawn(move || serve(client, collector, &shown));
            }
        });
        Self { address, heads }
    }

    /// Where it listens, without a scheme.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first lines and the headers of what it was asked for: of each connection the first
    /// request.
    pub fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock();
        heads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut client: TcpStream,
    collector: SocketAddr,
    shown: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && from_client.read_line(&mut head)? > 0 {}
    let is_tunnel = head.starts_with("CONNECT ");
    let mut to_collector = TcpStream::connect(collector)?;
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    shown.push(head.clone());
    drop(shown);
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        to_collector.write_all(head.as_bytes())?;
    }
    let mut from_collector = to_collector.try_clone()?;
    let back = thread::spawn(move || {
        let _ = io::copy(&mut from_collector, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut from_client, &mut to_collector);
    let _ = to_collector.shutdown(Shutdown::Both);
    drop(back.join());
    Ok(())
}
