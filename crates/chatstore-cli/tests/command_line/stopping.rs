//! How a server is stopped.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chatstore_testkit::{TestDatabase, conformance};

use crate::commands::Commands;
use crate::program::Server;

conformance!(each_signal_that_asks_a_server_to_stop_lets_it_finish, a_second_signal_ends_a_server_at_once,);

/// A connection with a request whose body is still to come.
fn request_in_progress(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.origin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn each_signal_that_asks_a_server_to_stop_lets_it_finish(case: TestDatabase) {
    let commands = Commands::on(case);
    for signal in ["TERM", "INT", "HUP"] {
        let mut server = commands.serve(&[]);
        let mut stream = request_in_progress(&server);
        server.signal(signal);
        server.wait_for("stopping: finishing the requests in progress");
        stream.write_all(b"{}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 422"), "{signal}: {answer}");
        assert_eq!(server.ended().0, Some(0), "{signal}");
    }
}

async fn a_second_signal_ends_a_server_at_once(case: TestDatabase) {
    let commands = Commands::on(case);
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("HUP", "TERM")] {
        let mut server = commands.serve(&[]);
        let _stream = request_in_progress(&server);
        server.signal(first);
        server.wait_for("stopping: finishing the requests in progress");
        server.signal(second);
        let (code, said) = server.ended();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("error: stopped at once by SIG{second}")), "{said}");
    }
    assert_eq!(commands.serve(&[]).stop(), Some(0), "the database is free again");
}
