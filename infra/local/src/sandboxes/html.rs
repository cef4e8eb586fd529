//! The frame of every page that the sandboxes show: it fits a phone, and runs no script.

use super::call::Reply;

/// Nothing is loaded, nothing runs; a form goes back to where it came from.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:42rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
h1{font-size:1.4rem;line-height:1.25}\
label{display:block}\
input,button{font:inherit;box-sizing:border-box;width:100%;padding:.6rem;margin-top:.25rem}\
ul.list{list-style:none;padding:0}ul.list li{border-top:1px solid #8886;padding:.75rem 0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem .75rem;margin:0}dd{margin:0}\
pre{white-space:pre-wrap;border-top:1px solid #8886;padding-top:1rem}\
iframe{width:100%;height:36rem;border:1px solid #8886;background:#fff}\
small{opacity:.75}[role=alert]{border-left:4px solid #c00;padding-left:.75rem}";

/// A page; the title is text, the body HTML whose texts are escaped.
pub(super) fn page(status: u16, title: &str, body: &str) -> Reply {
    let title = escape(title);
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    Reply::text(status, page)
        .with_header("content-type", "text/html; charset=utf-8")
        .with_header("content-security-policy", POLICY)
        .with_header("x-content-type-options", "nosniff")
}

/// Text as it may stand in HTML, in an attribute's quotes too.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
