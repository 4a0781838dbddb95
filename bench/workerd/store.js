// One Durable Object that keeps keys, called over HTTP. A write is answered when the object's output gate opens, which
// is when its storage has confirmed the write.

export class Store {
  constructor(state) {
    this.storage = state.storage;
  }

  async fetch(request) {
    const url = new URL(request.url);
    const key = url.searchParams.get("key");
    switch (url.pathname) {
      case "/get":
        return new Response(await this.storage.get(key));
      case "/set":
        await this.storage.put(key, await request.text());
        return new Response("ok");
      case "/get-many": {
        const values = await this.storage.get(await request.json());
        return Response.json(Object.fromEntries(values));
      }
      case "/set-many":
        await this.storage.put(await request.json());
        return new Response("ok");
      default:
        return new Response("no such path", { status: 404 });
    }
  }
}

export default {
  fetch(request, env) {
    return env.STORES.get(env.STORES.idFromName("bench")).fetch(request);
  },
};
