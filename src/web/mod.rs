//! Pages that Florin serves to payers' browsers.
//!
//! **Owns** HTML: templates, their addresses and headers, the forms' answers.
//!
//! **Never** decides about money and never asks for a key: an address that cannot be guessed is what lets a payer in,
//! and what is done there is a command like any other. Nothing is loaded from elsewhere, and no script runs.
//!
//! **Why** beside `api`: the wire speaks JSON to programs that hold keys; here are people who hold a link.

use std::sync::Arc;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::get;
use minijinja::{Environment, Value};

use crate::api::ApiState;

mod authenticate;

/// Every page.
pub fn router(state: Arc<ApiState>) -> Router {
    Router::new()
        .route("/florin/authenticate/{intent}/{token}", get(authenticate::show).post(authenticate::answer))
        .with_state(state)
}

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    // The ending of the name turns escaping on. A page that does not parse is found by the tests; here it is missing.
    for (name, source) in [
        ("frame.html", include_str!("frame.html")),
        ("authenticate.html", include_str!("authenticate.html")),
        ("nothing.html", include_str!("nothing.html")),
    ] {
        if let Err(error) = pages.add_template(name, source) {
            tracing::error!(%error, name, "a page cannot be used");
        }
    }
    pages
});

/// A page as an answer.
fn page(status: StatusCode, name: &str, shown: Value) -> Response<Body> {
    match PAGES.get_template(name).and_then(|page| page.render(shown)) {
        Ok(html) => answer(status, html),
        Err(error) => {
            tracing::error!(%error, name, "a page could not be drawn");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "This page could not be drawn.".to_owned())
        }
    }
}

/// What every page says to the browser: run nothing, load nothing, keep nothing, tell nobody where you come from.
fn answer(status: StatusCode, html: String) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn every_page_is_drawn_and_escapes_what_people_wrote() {
        let shown = context! {
            state => "waits", merchant => "<b>Ada & Söhne</b>", purpose => "payment", amount => "$1.00", currency => "USD",
            card => "Visa •••• 3184", reference => "pi_1",
        };
        let html = PAGES.get_template("authenticate.html").unwrap().render(shown).unwrap();
        assert!(html.contains("&lt;b&gt;Ada &amp; Söhne&lt;&#x2f;b&gt;"), "{html}");
        assert!(html.contains(r#"value="complete""#) && html.contains(r#"value="fail""#), "{html}");
        for state in ["passed", "failed", "declined", "superseded", "over"] {
            let shown = context! { state => state, back => "https://shop.example/?a=1&b=2" };
            let html = PAGES.get_template("authenticate.html").unwrap().render(shown).unwrap();
            assert!(!html.contains("<form") && html.contains("a=1&amp;b=2"), "{state}: {html}");
        }
        assert!(PAGES.get_template("nothing.html").unwrap().render(context! {}).unwrap().contains("opens nothing"));
    }
}
