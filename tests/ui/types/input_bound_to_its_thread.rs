// An own input that can't go to another thread, for a reason that its name does not tell.

use std::rc::Rc;

use dotflow::{action, task};

#[derive(Clone)]
struct Session {
    user: Rc<str>,
}

#[action]
async fn greet(session: Session) -> usize {
    session.user.len()
}

fn main() {
    let _ = task(greet(Session { user: "Ada".into() }));
}
