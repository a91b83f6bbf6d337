//! A server to send requests to, by Node's own `http`.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, JSON, Promise, Reflect, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(module = "node:http")]
extern "C" {
    #[wasm_bindgen(js_name = createServer)]
    fn create_server(on_request: &Function) -> Server;
}

#[wasm_bindgen]
extern "C" {
    type Server;

    #[wasm_bindgen(method)]
    fn listen(this: &Server, port: u16, host: &str, then: &Function);

    #[wasm_bindgen(method)]
    fn address(this: &Server) -> JsValue;

    #[wasm_bindgen(method)]
    fn close(this: &Server);

    #[wasm_bindgen(method, js_name = closeAllConnections)]
    fn close_all_connections(this: &Server);

    #[wasm_bindgen(method)]
    fn unref(this: &Server);

    /// A request as it arrives.
    pub(crate) type Arrived;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn method(this: &Arrived) -> String;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn url(this: &Arrived) -> String;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn headers(this: &Arrived) -> JsValue;

    /// Sends the request's body back as the reply's.
    #[wasm_bindgen(method, js_name = pipe)]
    pub(crate) fn echo(this: &Arrived, reply: &Reply);

    /// The reply being written.
    pub(crate) type Reply;

    #[wasm_bindgen(method, js_name = writeHead)]
    fn write_head(this: &Reply, status: u16, headers: &JsValue);

    #[wasm_bindgen(method)]
    pub(crate) fn write(this: &Reply, text: &str);

    #[wasm_bindgen(method, js_name = write)]
    fn write_array(this: &Reply, bytes: &Uint8Array);

    #[wasm_bindgen(method)]
    fn on(this: &Reply, event: &str, listener: &JsValue);

    #[wasm_bindgen(method)]
    pub(crate) fn end(this: &Reply);

    /// Breaks the connection.
    #[wasm_bindgen(method)]
    pub(crate) fn destroy(this: &Reply);

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &JsValue, ms: u32);
}

impl Reply {
    /// Sends status and headers.
    pub(crate) fn head(&self, status: u16, headers: &str) {
        self.write_head(status, &JSON::parse(headers).unwrap());
    }

    /// Sends a part of the body.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) {
        self.write_array(&Uint8Array::from(bytes));
    }

    /// Breaks the connection after what was written has arrived.
    pub(crate) fn break_soon(&self) {
        let reply: Reply = JsValue::from(self).unchecked_into();
        set_timeout(&Closure::once_into_js(move || reply.destroy()), 50);
    }

    /// Calls `then` when the connection is closed.
    pub(crate) fn on_close(&self, then: impl FnOnce() + 'static) {
        self.on("close", &Closure::once_into_js(then));
    }
}

/// A server on loopback, on any free port.
pub(crate) struct Upstream {
    /// Where it is.
    pub(crate) url: String,
    /// Method and target of every request that arrived.
    pub(crate) arrived: Rc<RefCell<Vec<String>>>,
    server: Server,
    _answer: Closure<dyn FnMut(Arrived, Reply)>,
}

impl Upstream {
    /// Starts one that answers so.
    pub(crate) async fn start(mut answer: impl FnMut(Arrived, Reply) + 'static) -> Self {
        let arrived = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&arrived);
        let answer = Closure::<dyn FnMut(Arrived, Reply)>::new(move |request: Arrived, reply: Reply| {
            noted.borrow_mut().push(format!("{} {}", request.method(), request.url()));
            answer(request, reply);
        });
        let server = create_server(answer.as_ref().unchecked_ref());
        // A test that fails never gets to stop it; Node is not to wait for that.
        server.unref();
        let ready = Promise::new(&mut |resolve, _| server.listen(0, "127.0.0.1", &resolve));
        JsFuture::from(ready).await.unwrap();
        let port = Reflect::get(&server.address(), &"port".into()).unwrap().as_f64().unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), arrived, server, _answer: answer }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.close();
        self.server.close_all_connections();
    }
}
