//! The clients.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// The good client's part of a wave.
pub(crate) struct Wave {
    pub(crate) times: Vec<Duration>,
    pub(crate) failures: usize,
}

/// The time over which the connections of a wave begin: servers of different cost meet the same load.
const SPREAD: Duration = Duration::from_secs(3);
/// The longest that a client waits for bytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest query that the `http` crate parses is a little above.
const LONG: usize = 60_000;
const HOST: usize = 300_000;
/// Requests on one hostile connection.
const REQUESTS: u32 = 3;

/// Runs hostile connections beside a good client on a connection of its own.
pub(crate) async fn wave(address: SocketAddr, connections: u32) -> Result<Wave, Box<dyn Error>> {
    let over = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(good(address, Arc::clone(&over)));
    let mut hostile = JoinSet::new();
    let began = tokio::time::Instant::now();
    for number in 0..connections {
        tokio::time::sleep_until(began + SPREAD * number / connections).await;
        hostile.spawn(async move {
            // A server may well close such a connection.
            let _ = tokio::time::timeout(PATIENCE, attack(address, number)).await;
        });
    }
    while hostile.join_next().await.is_some() {}
    over.store(true, Ordering::Relaxed);
    Ok(good.await?)
}

async fn good(address: SocketAddr, over: Arc<AtomicBool>) -> Wave {
    let mut wave = Wave { times: Vec::new(), failures: 0 };
    let mut stream = None;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        match tokio::time::timeout(PATIENCE, order(address, &mut stream)).await {
            Ok(Ok(())) => wave.times.push(began.elapsed()),
            _ => {
                stream = None;
                wave.failures += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wave
}

async fn order(address: SocketAddr, stream: &mut Option<TcpStream>) -> std::io::Result<()> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let opened = TcpStream::connect(address).await?;
            opened.set_nodelay(true)?;
            stream.insert(opened)
        }
    };
    let request = "GET /orders/7?page=2 HTTP/1.1\r\nhost: shop.internal\r\nuser-agent: good/1.0\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nbaggage: tenant.id=blue\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\nok") {
        if stream.read_buf(&mut answer).await? == 0 || answer.len() > 4096 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

async fn attack(address: SocketAddr, number: u32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let bytes = request(number);
    for _ in 0..REQUESTS {
        stream.write_all(&bytes).await?;
        let mut answer = [0; 4096];
        if stream.read(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A hostile request, of a kind that the number chooses.
fn request(number: u32) -> Vec<u8> {
    let head = |target: &str, headers: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: shop.internal\r\n{headers}\r\n").into_bytes()
    };
    let query = |text: &str| head(&format!("/orders/7?{}", repeated(text, LONG)), "");
    match number % 16 {
        0 => number.to_le_bytes().into_iter().chain(1..=u8::MAX).cycle().take(LONG).chain(*b"\r\n\r\n").collect(),
        1 => head("/orders/7", &format!("baggage: {}\r\n", repeated("tenant.id=evil;p=1,", LONG))),
        2 => head("/orders/7", &"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n".repeat(500)),
        3 => head("/orders/7", &format!("tracestate: {}\r\nbaggage: {}\r\n", ",".repeat(LONG), "%41".repeat(LONG / 3))),
        // Beginnings of findings for each detector, without an end.
        4 => query("a@a.a@"),
        5 => query("4111+1111+1111+1112-"),
        6 => query("password="),
        7 => query("eyJhbGciOiJIUzI1NiJ9."),
        8 => query("%2540%2561"),
        9 => query("DE89370400440532013001,"),
        10 => query("a=b&"),
        11 => head(&format!("/{}", repeated("10.0.0.1/+49(151)23/", LONG)), ""),
        12 => head(
            "/orders/7",
            &format!("referer: {}\r\nx-request-id: {}\r\n", repeated("sk-AKIA.", LONG), repeated("x@y", LONG)),
        ),
        13 => head("/orders/7", &format!("user-agent: {}\r\n", repeated("Bearer a.b.", LONG))),
        14 => head(
            "/orders/7",
            &format!(
                "x-forwarded-for: {}\r\nforwarded: {}\r\n",
                repeated("10.1.1.1,", LONG),
                repeated("for=_a;", LONG)
            ),
        ),
        _ => format!("GET /orders/7 HTTP/1.1\r\nhost: {}\r\n\r\n", repeated("evil.", HOST)).into_bytes(),
    }
}

fn repeated(text: &str, length: usize) -> String {
    text.chars().cycle().take(length).collect()
}
