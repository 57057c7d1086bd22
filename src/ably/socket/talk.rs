//! What goes on over an open socket, until it ends.

use super::*;

/// How a talk ends.
enum Ending {
    /// Without another word.
    Broken,
    /// With a last frame, and the client may come back.
    Parted(u32, Option<ErrorInfo>),
    /// For good, with a last frame.
    Closed(u32, Option<ErrorInfo>),
}

pub async fn talk(mut socket: Socket, mut incoming: AggregatedMessageStream, mut client: Client, heartbeats: bool) {
    let mut times = Times::new(client.idle, client.credential.expires_at, client.state.ctx.clock.now());
    let frames = Rate::direct(Quota::per_second(MAX_INBOUND_RATE));
    let mut timer = pin!(sleep_until(times.next()));
    let ending = loop {
        timer.as_mut().reset(times.next());
        // In no order: what never ends on one side must not keep the others waiting.
        tokio::select! {
            batch = client.session.outbox().next() => {
                if let Err(ending) = write(&mut socket, &client, batch, &mut times).await {
                    break ending;
                }
            }
            message = incoming.recv() => {
                times.heard = Instant::now();
                let next = match message {
                    Some(Ok(message)) => hear(&mut socket, &mut client, message, &frames, &mut times).await,
                    Some(Err(error)) => of_broken(&error),
                    None => Next::Drop,
                };
                match next {
                    Next::Goes => {}
                    Next::Close => break Ending::Closed(action::CLOSED, None),
                    Next::Fail(error) => break Ending::Closed(action::ERROR, Some(error)),
                    Next::Part(error) => break Ending::Parted(action::DISCONNECTED, Some(error)),
                    Next::Drop => break Ending::Broken,
                }
            }
            () = timer.as_mut() => {
                if let Err(ending) = on_time(&mut socket, &client, heartbeats, &mut times).await {
                    break ending;
                }
            }
        }
    };
    finish(socket, client, ending).await;
}

async fn finish(mut socket: Socket, client: Client, ending: Ending) {
    match ending {
        Ending::Broken => {
            drop(client);
            socket.end(None).await;
        }
        Ending::Parted(action, error) => {
            drop(client);
            socket.end(Some(last(action, error))).await;
        }
        Ending::Closed(action, error) => {
            // What was answered before is told before.
            if let Ok(Batch::Ordered(batch)) = timeout(Duration::ZERO, client.session.outbox().next()).await {
                let _ = timeout(FAREWELL, socket.write_all(batch)).await;
            }
            client.session.close();
            socket.end(Some(last(action, error))).await;
        }
    }
}

/// Writes what there is. A client that does not take it in time is parted from.
async fn write(socket: &mut Socket, client: &Client, batch: Batch, times: &mut Times) -> Result<(), Ending> {
    let last_wrote = times.wrote;
    let writing = async {
        match batch {
            Batch::Ordered(batch) => socket.write_all(batch).await.map_err(|_| Ending::Broken),
            Batch::Occupancy(updates) => {
                sleep_until(last_wrote + BEFORE_OCCUPANCY).await;
                socket.write_all(updates.into_iter().map(Tell::Shared)).await.map_err(|_| Ending::Broken)?;
                tokio::time::sleep(AFTER_OCCUPANCY).await;
                Ok(())
            }
            Batch::End(why) => Err(ending_of(why)),
        }
    };
    tokio::select! {
        biased;
        why = client.session.outbox().ended() => return Err(ending_of(why)),
        () = times.expired() => return Err(expired()),
        written = timeout(times.patience(), writing) => written.unwrap_or(Err(Ending::Broken))?,
    }
    times.wrote = Instant::now();
    Ok(())
}

async fn hear(
    socket: &mut Socket,
    client: &mut Client,
    message: AggregatedMessage,
    frames: &Rate,
    times: &mut Times,
) -> Next {
    // One that sends too much, or much at once, is read more slowly.
    let size = match &message {
        AggregatedMessage::Text(text) => text.len(),
        AggregatedMessage::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    let cost = u32::try_from(size / BYTES_A_FRAME).unwrap_or(u32::MAX).saturating_add(client.debt.take());
    let cost = NonZeroU32::MIN.saturating_add(cost).min(MAX_INBOUND_RATE);
    while let Ok(Err(later)) = frames.check_n(cost) {
        tokio::time::sleep(later.wait_time_from(DefaultClock::default().now())).await;
    }
    let bytes = match message {
        AggregatedMessage::Text(text) => text.into_bytes(),
        AggregatedMessage::Binary(bytes) => bytes,
        AggregatedMessage::Ping(text) => {
            let ponged = timeout(FAREWELL, socket.socket.pong(&text)).await;
            return if matches!(ponged, Ok(Ok(()))) { Next::Goes } else { Next::Drop };
        }
        AggregatedMessage::Pong(_) => return Next::Goes,
        AggregatedMessage::Close(_) => return Next::Drop,
    };
    let frame = match client.format.decode(&bytes) {
        Ok(frame) => frame,
        Err(error) => {
            let Some(serial) = client.format.serial_of(&bytes) else {
                return Next::Fail(ErrorInfo::malformed(error.to_string()));
            };
            client.answer(serial, Err(Refusal::Malformed(error.to_string().into())));
            return Next::Goes;
        }
    };
    let renews = frame.action == action::AUTH;
    let next = client.handle(frame).await;
    if renews {
        times.expire(client.credential.expires_at, client.state.ctx.clock.now());
    }
    next
}

async fn on_time(socket: &mut Socket, client: &Client, heartbeats: bool, times: &mut Times) -> Result<(), Ending> {
    let now = Instant::now();
    if times.expires.is_some_and(|at| at <= now) {
        return Err(expired());
    }
    if times.silent() <= now {
        return Err(Ending::Broken);
    }
    if times.renew.is_some_and(|at| at <= now) {
        times.renew = None;
        client.say(&last(action::AUTH, None));
    }
    if times.keep_alive() <= now {
        times.wrote = now;
        if heartbeats {
            client.say(&last(action::HEARTBEAT, None));
        }
        // Its pong also tells us that the client is there.
        let pinged = timeout(FAREWELL, socket.socket.ping(b"")).await;
        return if matches!(pinged, Ok(Ok(()))) { Ok(()) } else { Err(Ending::Broken) };
    }
    Ok(())
}

fn expired() -> Ending {
    Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::token_expired()))
}

fn ending_of(why: End) -> Ending {
    let parted = |code, status, told| Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::new(code, status, told)));
    match why {
        End::Superseded => Ending::Broken,
        End::Overflow => parted(42910, 429, "the client reads too slowly: it may resume"),
        End::Revoked => Ending::Parted(action::DISCONNECTED, Some(ErrorInfo::token_revoked())),
        End::Stopping => parted(50003, 503, "the service is being stopped: connect again"),
    }
}

fn of_broken(error: &ProtocolError) -> Next {
    match error {
        ProtocolError::Overflow => {
            Next::Fail(ErrorInfo::new(40009, 413, format!("a frame has at most {MAX_FRAME} bytes")))
        }
        _ => Next::Drop,
    }
}
