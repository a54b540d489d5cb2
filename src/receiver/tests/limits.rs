//! Time, numbers and the end.

use std::time::Instant;

use super::*;
use crate::receiver::limits::Crowd;
use crate::receiver::wire::Link;

#[tokio::test]
async fn a_slow_head_is_408_and_closed() {
    let server = Server::start().await;
    for begun in ["", "POST /hooks", "POST / HTTP/1.1\r\nHost: a\r\n"] {
        let began = Instant::now();
        let mut client = server.connect().await;
        client.send(begun).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 408, "{begun:?}");
        assert_eq!(answer.body, r#"{"error":"too_slow"}"#);
        assert_eq!(answer.header("connection"), Some("close"));
        client.closed().await;
        assert!(began.elapsed() >= Duration::from_millis(190), "{begun:?}");
    }
}

#[tokio::test]
async fn a_trickle_does_not_buy_time() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for part in ["G", "E", "T", " ", "/", " ", "H"] {
        client.send(part).await;
        sleep(Duration::from_millis(40)).await;
    }
    assert_eq!(client.answer().await.unwrap().status, 408);
}

#[tokio::test]
async fn a_further_head_has_its_own_time() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post(URL, "", "{}")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    sleep(Duration::from_millis(120)).await;
    let next = post(URL, "", "{}");
    client.send(&next[..20]).await;
    sleep(Duration::from_millis(120)).await;
    client.send(&next[20..]).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.send("POST").await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    client.closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post(URL, "", "{}")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.closed().await;
}

#[tokio::test]
async fn whoever_only_waits_makes_room() {
    let server = Server::with(Limits {
        connections_max: 2,
        eviction_age: Duration::from_millis(20),
        header_timeout: Duration::from_secs(5),
        ..short()
    })
    .await;
    let mut slow = server.connect().await;
    slow.send("POST /").await;
    server.fake.desk().mode = Mode::Hold;
    let mut busy = server.connect().await;
    busy.send(post(URL, "", "{}")).await;
    eventually("held", || server.fake.desk().held.len() == 1).await;
    let mut third = server.connect().await;
    third.send(post("/hooks/zotlo/events", "", "{}")).await;
    assert_eq!(third.answer().await.unwrap().status, 401);
    slow.closed().await;
    server.fake.release();
    assert_eq!(busy.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn one_address_is_thinned_from_its_oldest_and_others_are_left() {
    let crowd = Arc::new(Crowd::default());
    let (one, other) = (
        "198.51.100.1".parse().unwrap(),
        "198.51.100.2".parse().unwrap(),
    );
    let links: Vec<Arc<Link>> = [other, one, one, one]
        .map(|ip| Arc::new(Link::new(ip)))
        .into();
    let seats: Vec<_> = links
        .iter()
        .map(|link| Arc::clone(&crowd).enter(link))
        .collect();
    links[1].protect();
    crowd.thin(one, 1, Duration::from_secs(60));
    assert_eq!(crowd.len(), 4, "none has waited for a minute");
    crowd.thin(one, 1, Duration::ZERO);
    assert_eq!(crowd.len(), 3);
    timeout(Duration::from_secs(1), links[2].evicted.notified())
        .await
        .expect("the oldest that waits is told to go");
    drop(seats);
    assert_eq!(crowd.len(), 0);
}

#[tokio::test]
async fn a_sender_that_does_not_read_is_cut_off() {
    let server = Server::with(Limits {
        write_timeout: Duration::from_millis(200),
        connections_max: 1,
        // Only the deadline of writing may end it.
        eviction_age: Duration::from_secs(60),
        ..short()
    })
    .await;
    let mut deaf = server.connect().await;
    let requests = post("/nowhere", "", "").repeat(2000);
    let flood = async {
        loop {
            if deaf.stream.write_all(requests.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), flood)
        .await
        .expect("cut off");
    assert_eq!(server.ask(post(URL, "", "{}")).await.status, 200);
}

#[tokio::test]
async fn stopping_answers_everything_that_has_begun() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send(post(URL, "", "idle")).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    server.fake.desk().mode = Mode::Hold;
    let mut waiting = server.connect().await;
    waiting.send(post(URL, "", "waiting")).await;
    eventually("held", || server.fake.desk().held.len() == 1).await;
    let whole = post(URL, "", "half a head");
    let mut begun = server.connect().await;
    begun.send(&whole[..30]).await;
    let mut body = server.connect().await;
    body.send(&whole[..whole.len() - 3]).await;
    sleep(Duration::from_millis(50)).await;
    server.begin_stop();
    sleep(Duration::from_millis(20)).await;
    // A request that crossed the stop on its way.
    idle.send(post(URL, "", "late")).await;
    begun.send(&whole[30..]).await;
    body.send(&whole[whole.len() - 3..]).await;
    eventually("all held", || server.fake.desk().held.len() == 4).await;
    server.fake.release();
    for client in [&mut waiting, &mut begun, &mut body, &mut idle] {
        let answer = client.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, Some("close"))
        );
        client.closed().await;
    }
    assert!(TcpStream::connect(server.at).await.is_err());
    server.stopped().await;
}

#[tokio::test]
async fn stopping_takes_what_the_system_had_accepted() {
    let mut server = Server::start().await;
    // On one thread nothing is accepted between these lines.
    let mut clients = Vec::new();
    for _ in 0..5 {
        let stream = std::net::TcpStream::connect(server.at).unwrap();
        stream.set_nonblocking(true).unwrap();
        clients.push(Client {
            stream: TcpStream::from_std(stream).unwrap(),
            inbox: Vec::new(),
        });
    }
    server.begin_stop();
    for client in &mut clients {
        client.send(post(URL, "", "{}")).await;
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    server.stopped().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_those_who_say_nothing() {
    let mut server = Server::start().await;
    let mut silent = server.connect().await;
    let mut idle = server.connect().await;
    idle.send(post(URL, "", "{}")).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let began = Instant::now();
    server.begin_stop();
    silent.closed().await;
    idle.closed().await;
    server.stopped().await;
    assert!(
        began.elapsed() < Duration::from_millis(800),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn stopping_has_an_end() {
    let mut server = Server::with(Limits {
        stall_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_millis(200),
        ..short()
    })
    .await;
    server.fake.desk().mode = Mode::Hold;
    let mut stuck = server.connect().await;
    stuck.send(post(URL, "", "{}")).await;
    eventually("held", || server.fake.desk().held.len() == 1).await;
    server.begin_stop();
    server.stopped().await;
}

#[tokio::test]
async fn fresh_connections_of_one_address_do_not_fill_the_crowd() {
    let crowd = Arc::new(Crowd::default());
    let [one, other] = [1, 2].map(|last| std::net::IpAddr::from([192, 0, 2, last]));
    let sender = Arc::new(Link::new(other));
    let _sender = Arc::clone(&crowd).enter(&sender);
    let links: Vec<Arc<Link>> = (0..100).map(|_| Arc::new(Link::new(one))).collect();
    let mut seats = Vec::new();
    for link in &links {
        crowd.thin(one, 8, Duration::from_secs(60));
        seats.push(Arc::clone(&crowd).enter(link));
    }
    // Those in the crowd, the one that enters included, and the sender.
    assert_eq!(crowd.len(), 4 * 8 + 1 + 1);
    let gone = timeout(Duration::from_secs(1), links[0].evicted.notified());
    gone.await.unwrap();
}
