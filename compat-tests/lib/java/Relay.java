import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A TCP relay in front of one server, whose connections can be cut and which can refuse new ones. */
class Relay implements AutoCloseable {
    private final ServerSocket listener;
    private final String host;
    private final int port;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private volatile boolean open = true;
    private volatile boolean closed;

    Relay(String target) throws IOException {
        String first = target.split("[,/]")[0];
        host = first.substring(0, first.lastIndexOf(':'));
        port = Integer.parseInt(first.substring(first.lastIndexOf(':') + 1));
        listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        start(this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Cuts every connection and refuses new ones until up(). */
    void down() {
        open = false;
        cut();
    }

    void up() {
        open = true;
    }

    void cut() {
        for (Socket s : sockets) {
            quiet(s);
        }
        sockets.clear();
    }

    @Override
    public void close() {
        closed = true;
        try {
            listener.close();
        } catch (IOException e) {
            // nothing to do
        }
        cut();
    }

    private void accept() {
        while (!closed) {
            try {
                Socket in = listener.accept();
                if (!open) {
                    quiet(in);
                    continue;
                }
                Socket out = new Socket(host, port);
                in.setTcpNoDelay(true);
                out.setTcpNoDelay(true);
                sockets.add(in);
                sockets.add(out);
                start(() -> pump(in, out));
                start(() -> pump(out, in));
            } catch (IOException e) {
                // a refused or cut connection
            }
        }
    }

    private void pump(Socket from, Socket to) {
        byte[] buf = new byte[8192];
        try {
            InputStream i = from.getInputStream();
            OutputStream o = to.getOutputStream();
            int n;
            while ((n = i.read(buf)) >= 0) {
                o.write(buf, 0, n);
                o.flush();
            }
        } catch (IOException e) {
            // cut
        }
        quiet(from);
        quiet(to);
    }

    private static void quiet(Socket s) {
        try {
            s.close();
        } catch (IOException e) {
            // nothing to do
        }
    }

    private static void start(Runnable r) {
        Thread t = new Thread(r);
        t.setDaemon(true);
        t.start();
    }
}
