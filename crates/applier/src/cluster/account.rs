//! As whom requests are made.
//!
//! What comes in: a user, and work that writes to a cluster. What goes out: the work's requests in that user's name.
//! One connection serves all users, for the API server takes the name from each request.

use http::{HeaderValue, Request};

use crate::error::Error;

tokio::task_local! {
    static USER: Option<Box<str>>;
}

/// Does work whose writes are made as this user; None for the applier itself.
pub async fn acting_as<F: Future>(user: Option<String>, work: F) -> F::Output {
    USER.scope(user.map(Into::into), work).await
}

/// Names the user, where there is one, in a request.
pub(super) fn name_user(request: &mut Request<Vec<u8>>) -> Result<(), Error> {
    let user = USER.try_with(|user| user.as_deref().map(HeaderValue::from_str));
    let Ok(Some(user)) = user else { return Ok(()) };
    let user = user.map_err(|error| Error::Rejected { message: error.to_string(), code: 400 })?;
    request.headers_mut().insert("Impersonate-User", user);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_requests_of_the_work_are_in_the_users_name() {
        let named = || {
            let mut request = Request::new(Vec::new());
            name_user(&mut request).expect("a name");
            request.headers().get("Impersonate-User").cloned()
        };
        let user = "system:serviceaccount:web:deployer";
        assert_eq!(named(), None);
        assert_eq!(
            acting_as(Some(user.to_owned()), async { named() }).await,
            HeaderValue::from_str(user).ok()
        );
        assert_eq!(acting_as(None, async { named() }).await, None);
        let within = acting_as(Some(user.to_owned()), acting_as(None, async { named() }));
        assert_eq!(within.await, None, "the applier's own question");
    }
}
