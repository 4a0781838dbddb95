// One Durable Object with a table, called over HTTP: the body is the statement. A write is answered when the object's
// output gate opens, which is when its storage has confirmed the write.

export class Store {
  constructor(state) {
    this.sql = state.storage.sql;
  }

  async fetch(request) {
    return Response.json(this.sql.exec(await request.text()).raw().toArray());
  }
}

export default {
  fetch(request, env) {
    return env.STORES.get(env.STORES.idFromName("bench")).fetch(request);
  },
};
