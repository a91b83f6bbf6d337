//! Exchanges on their way: when each arrives, what it does there, and when its sender hears of it.

use std::cell::RefCell;
use std::rc::Rc;

use shared::host::FetchError;

use crate::database::Reply;
use crate::network::{Back, Fate};
use crate::scheduler::{Promise, Settle};
use crate::world::World;

/// What a host has of a response when its first part is there.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) reply: Reply,
    /// Whether it is all there.
    pub(crate) is_whole: bool,
    /// Whether the rest will not come to its end.
    pub(crate) breaks: bool,
}

type Outcome = Result<Arrived, FetchError>;

/// What answers at the other end, each time a request arrives there.
pub(crate) type Server = Rc<dyn Fn(&Rc<World>) -> Reply>;

/// Sends a request to its fate. It is given up after `timeout_ms`; a response longer than `buffer` is streamed.
pub(crate) fn send(world: &Rc<World>, fate: Fate, timeout_ms: u64, buffer: usize, server: Server) -> Promise<Outcome> {
    let (promise, settle) = Promise::new(world);
    let given_up = Rc::clone(&settle);
    world.after(timeout_ms, move |world| given_up.with(world, Err(FetchError::Timeout)));
    let own = Rc::new(RefCell::new(None));
    for (place, ms) in fate.arrives_ms.iter().enumerate() {
        let (server, own, settle) = (Rc::clone(&server), Rc::clone(&own), Rc::clone(&settle));
        let Fate { back, back_ms, .. } = fate.clone();
        world.after(*ms, move |world| {
            let reply = server(world);
            // The answer to the first arrival is the one that goes back.
            if place == 0 {
                own.replace(Some(reply));
                world.after(back_ms, move |world| goes_back(world, &settle, back, own.take(), buffer));
            }
        });
    }
    if fate.arrives_ms.is_empty() {
        world.after(fate.back_ms, move |world| goes_back(world, &settle, fate.back, None, buffer));
    }
    promise
}

fn goes_back(world: &Rc<World>, settle: &Settle<Outcome>, back: Back, own: Option<Reply>, buffer: usize) {
    if settle.is_settled() {
        return;
    }
    let whole = |reply: Reply| {
        let is_whole = reply.body.len() <= buffer;
        Ok(Arrived { reply, is_whole, breaks: false })
    };
    let outcome = match (back, own) {
        (Back::Nothing, _) => return,
        (Back::Other(reply), _) | (Back::Own, Some(reply)) => whole(reply),
        (Back::Half, Some(mut reply)) => {
            let length = reply.body.len();
            if length > buffer {
                Ok(Arrived { reply, is_whole: false, breaks: true })
            } else {
                reply.body.truncate(world.random(|random| random.usize(0..=length / 2)));
                // Half an answer that ends as a whole one does is what no host can tell from one: docs/fuzzing.md.
                while reply.body.last() == Some(&b'}') {
                    reply.body.pop();
                }
                whole(reply)
            }
        }
        // What is streamed has begun by the time it breaks.
        (Back::Broken, Some(reply)) if reply.body.len() > buffer => {
            Ok(Arrived { reply, is_whole: false, breaks: true })
        }
        _ => Err(FetchError::Unreachable),
    };
    settle.with(world, outcome);
}
