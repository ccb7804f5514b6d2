import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import org.apache.jute.BinaryInputArchive;
import org.apache.jute.BinaryOutputArchive;
import org.apache.jute.Record;
import org.apache.zookeeper.proto.ConnectRequest;
import org.apache.zookeeper.proto.ConnectResponse;
import org.apache.zookeeper.proto.ReplyHeader;
import org.apache.zookeeper.proto.RequestHeader;
import org.apache.zookeeper.proto.WatcherEvent;

/** A bare connection, for what the public client never sends: records of the client library, frames of our own. */
final class Wire implements AutoCloseable {
    private final String name;
    private final Socket socket;
    private final DataInputStream in;
    private final DataOutputStream out;
    private int xid;
    ConnectResponse session;

    Wire(String name) throws IOException {
        this.name = name;
        String[] address = Matrix.server.split(":");
        socket = new Socket(address[0], Integer.parseInt(address[1]));
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(15000);
        in = new DataInputStream(socket.getInputStream());
        out = new DataOutputStream(socket.getOutputStream());
    }

    /** A connection with a new session. */
    static Wire open(String name) throws IOException {
        Wire wire = new Wire(name);
        wire.connect("connect", new ConnectRequest(0, 0, 30000, 0, new byte[16], false), true);
        return wire;
    }

    private void line(String what, String answer) {
        Transcript.line(String.format("%-4s %-58s ---- %s", name, what, answer));
    }

    /** The handshake; withReadOnly false leaves out the last byte, as clients before 3.4 do. */
    void connect(String what, ConnectRequest request, boolean withReadOnly) throws IOException {
        byte[] body = bytes(request);
        frame(withReadOnly ? body : java.util.Arrays.copyOf(body, body.length - 1));
        String answer = closedOr(() -> {
            byte[] reply = read();
            byte[] whole = reply.length == 36 ? java.util.Arrays.copyOf(reply, 37) : reply;
            session = new ConnectResponse();
            session.deserialize(BinaryInputArchive.getArchive(new ByteArrayInputStream(whole)), "");
            if (session.getSessionId() != 0 && Transcript.session(session.getSessionId()).equals("unknown")) {
                Transcript.nameSession(session.getSessionId(), "session-of-" + name);
            }
            return reply.length + " bytes, version " + session.getProtocolVersion() + " timeout " + session.getTimeOut() + " "
                    + Transcript.session(session.getSessionId()) + " of server " + (session.getSessionId() >>> 56) + " password "
                    + (new java.math.BigInteger(session.getPasswd()).signum() == 0 ? "zeros" : session.getPasswd().length + " bytes")
                    + " read-only " + session.getReadOnly();
        });
        line(what, answer);
    }

    /** Sends one request, and writes down every frame until its reply, or the end of the connection. */
    void call(String what, int type, Object body) throws IOException {
        call(what, ++xid, type, body);
    }

    void call(String what, int xid, int type, Object body) throws IOException {
        send(xid, type, body);
        expect(what, xid);
    }

    void send(int xid, int type, Object body) throws IOException {
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.write(bytes(new RequestHeader(xid, type)));
        frame.write(body == null ? new byte[0] : body instanceof Record r ? bytes(r) : (byte[]) body);
        frame(frame.toByteArray());
    }

    /** Reads up to the reply with this xid. */
    void expect(String what, int xid) throws IOException {
        boolean[] replied = {false};
        do {
            String answer = closedOr(() -> {
                byte[] reply = read();
                ByteArrayInputStream stream = new ByteArrayInputStream(reply);
                BinaryInputArchive archive = BinaryInputArchive.getArchive(stream);
                ReplyHeader header = new ReplyHeader();
                header.deserialize(archive, "");
                replied[0] = header.getXid() != -1;
                if (header.getXid() == -1) {
                    WatcherEvent event = new WatcherEvent();
                    event.deserialize(archive, "");
                    return "event type " + event.getType() + " state " + event.getState() + " " + event.getPath() + " zxid " + Transcript.zxid(header.getZxid());
                }
                byte[] rest = stream.readAllBytes();
                return "xid " + (header.getXid() == xid ? "same" : String.valueOf(header.getXid())) + " zxid " + Transcript.zxid(header.getZxid())
                        + " err " + header.getErr() + (rest.length == 0 ? "" : rest.length > 40 ? " body of " + rest.length + " bytes" : " body " + Transcript.hex(rest));
            });
            line(what, answer);
            if (answer.equals("closed") || answer.equals("silence")) {
                return;
            }
        } while (!replied[0]);
    }

    /** Whether the server closes the connection without another frame. */
    void expectClose(String what) throws IOException {
        line(what, closedOr(() -> "a frame of " + read().length + " bytes"));
    }

    void raw(byte[] bytes) throws IOException {
        try {
            out.write(bytes);
            out.flush();
        } catch (SocketException e) {
            // closed already: the next read tells
        }
    }

    private void frame(byte[] body) throws IOException {
        raw(ByteBuffer.allocate(4 + body.length).putInt(body.length).put(body).array());
    }

    private byte[] read() throws IOException {
        byte[] body = new byte[in.readInt()];
        in.readFully(body);
        return body;
    }

    private interface Reading {
        String run() throws IOException;
    }

    private static String closedOr(Reading reading) throws IOException {
        try {
            return reading.run();
        } catch (EOFException | SocketException e) {
            return "closed";
        } catch (SocketTimeoutException e) {
            return "silence";
        }
    }

    static byte[] bytes(Record record) throws IOException {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        record.serialize(BinaryOutputArchive.getArchive(stream), "");
        return stream.toByteArray();
    }

    /** Ends the session too, by a connection of its own if need be: else it would expire, and take a zxid, in a later section. */
    @Override
    public void close() throws IOException {
        socket.close();
        if (session == null || session.getSessionId() == 0) {
            return;
        }
        Wire last = new Wire(name);
        try (Socket ended = last.socket) {
            last.frame(bytes(new ConnectRequest(0, 0, 30000, session.getSessionId(), session.getPasswd(), false)));
            last.send(1, -11, null);
            last.in.readAllBytes();
        } catch (SocketException e) {
            // closed by the server: there is no such session any more
        }
    }
}
